"""Child processes that read what strangers sent: without network, credentials, other files or other programs.

`children` starts and watches them; `child` is what runs inside; `kernel` is how the walls are put up.
"""
