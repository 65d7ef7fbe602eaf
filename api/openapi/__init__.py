"""The description of all versions, derived from the rows of `api.endpoint`.

It is served as an OpenAPI 3.1 document and as a page of HTML.
"""
