-- The databases and their users; run by the job prepare-databases as the superuser, again and again.
-- Passwords come from the environment (\getenv), never from a command line, and a changed one is taken over.
\set ON_ERROR_STOP on
-- a statement that fails must not put its password into the server's log
SET log_min_error_statement = 'panic';
SET log_statement = 'none';
SET client_min_messages = 'warning';
\getenv prefect_password PREFECT_DB_PASSWORD
\getenv mlflow_password MLFLOW_DB_PASSWORD
\getenv itrp_password ITRP_DB_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name)
FROM (VALUES ('prefect'), ('mlflow'), ('itrp')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE prefect LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'prefect_password';
ALTER ROLE mlflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'mlflow_password';
ALTER ROLE itrp LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'itrp_password';

-- MLflow's accounts lie in a database of their own: two histories of migrations do not meet in one
SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES ('prefect', 'prefect'), ('mlflow', 'mlflow'), ('mlflow_auth', 'mlflow'), ('itrp', 'itrp'))
    AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec

-- each user sees its own database and no other
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname)
FROM pg_database
WHERE datname IN ('prefect', 'mlflow', 'mlflow_auth', 'itrp', 'postgres') \gexec
