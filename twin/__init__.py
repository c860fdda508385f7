"""A stand-in for the part of AWS that the product uses, spoken to over HTTP like AWS itself."""
