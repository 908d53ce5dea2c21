"""Tables and charts; no torch in here."""
