"""What is stated and proved, end to end."""
