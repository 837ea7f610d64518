"""From a camera to decoded frames and what the codec says of them, and to recorded segments."""
