"""Sends events of the log to other programs by HTTP: at least once, and in order for each webhook.

A webhook is a place in the log, kept in a small file. So a crash of the tracker or of the receiver
loses nothing: what was not acknowledged is sent again. `delivery.py` has the task of a webhook.
"""
