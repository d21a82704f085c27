"""The whole platform on one machine: real servers from wheels, every service, one supervisor over them."""
