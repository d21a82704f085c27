"""What people type and choose: every field checked, every complaint with its remedy. Pure rules."""
