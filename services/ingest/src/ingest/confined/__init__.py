"""What runs inside confined children: extraction, finding, parsing, assembling.

No word of the service in here, neither pydantic nor the kit: these modules start in tens of milliseconds and
take and return JSON and files.
"""
