"""How many streams one device can watch, and how soon it answers: this engine and its peers."""
