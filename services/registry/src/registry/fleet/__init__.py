"""contracts.fleet.v1 on the wire: what trainers ask and report."""
