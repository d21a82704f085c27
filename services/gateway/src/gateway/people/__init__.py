"""Accounts and what signs a person or a program in; mails."""
