"""Process topology: the processes and Ray actors of a site, of a cloud node and of the demo."""
