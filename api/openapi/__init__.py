"""The description of all three versions: plain tables (`shapes`, `operations`), made into OpenAPI 3.1 and a page of HTML.

Nothing is looked up in the code that serves: the tables are written beside it, and tests hold the two together.
"""
