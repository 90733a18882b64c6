"""Archives: read to the byte, in bounded memory and time, hostile ones included."""
