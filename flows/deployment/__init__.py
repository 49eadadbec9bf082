"""Deployments, automations and the bridge from other servers’ events."""
