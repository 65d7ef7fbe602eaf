"""The console: pages for staff, made on the server from what `/api/v2` says.

It runs in a process of its own (`tracker/process/console_process.py`) and knows nothing but the
API, with the access token of who is signed in.
"""
