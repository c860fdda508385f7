"""Amazon SES v2: identities, configuration sets and sending."""
