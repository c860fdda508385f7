"""What each event's data holds: one model a type, and the API's own where both show one thing."""
