"""Lists to rows of tokens, and rows to widths."""
