"""Model families, each behind one small adapter."""
