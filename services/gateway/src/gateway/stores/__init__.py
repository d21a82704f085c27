"""The SQL of the gateway, by what it is about. `gateway.store` puts them together; nobody else runs queries."""
