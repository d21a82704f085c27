"""What each program's calculations look like on disk: one module a program, described in the words of `spec`."""
