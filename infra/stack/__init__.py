"""The production stack without Docker: the same servers and workers as docker-compose.yml, as processes on 127.0.0.1."""
