"""S3, by way of moto; what it keeps is in memory and gone when the twin stops."""
