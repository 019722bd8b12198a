"""A teacher's scores, students of it, and the vectors that a student gives a catalogue."""
