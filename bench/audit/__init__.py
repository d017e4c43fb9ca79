"""What an audit costs beside evaluating accuracy."""
