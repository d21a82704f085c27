"""What operators do: pause, bisect, withdraw, name versions; the command that asks for it."""
