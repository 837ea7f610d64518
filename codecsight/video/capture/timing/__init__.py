"""The clock of a stream: times for packets whose timestamps can not always be believed."""
