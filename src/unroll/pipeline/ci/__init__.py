"""What continuous integration needs beside the commands that a person uses; all of it runs without any service."""
