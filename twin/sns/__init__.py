"""Amazon SNS: topics, subscriptions with their handshake, signed delivery with retries."""
