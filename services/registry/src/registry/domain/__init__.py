"""What the registry knows and decides by: frozen values and pure rules."""
