"""Objects by key, in a local folder or on an S3 server."""
