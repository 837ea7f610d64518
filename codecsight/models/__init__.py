"""Model families, each behind one small adapter. Importing this loads no torch."""
