"""What every service needs and no service is about: no word of the domain in here."""
