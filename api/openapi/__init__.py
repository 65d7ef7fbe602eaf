"""The description of all versions as OpenAPI 3.1 and as a page of HTML, derived from the rows of `api.endpoint`."""
