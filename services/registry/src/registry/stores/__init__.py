"""The SQL of the registry, by what it is about. `registry.store` puts it together; nobody else runs queries."""
