"""Edit sets: what the editor is asked for, and whose turn an edit is. It must know no policy."""
