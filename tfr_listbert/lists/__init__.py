"""Where ranked lists come from, and how they are kept."""
