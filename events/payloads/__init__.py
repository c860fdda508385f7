"""Payload models, one per event type. The API uses the same models for the same resources."""
