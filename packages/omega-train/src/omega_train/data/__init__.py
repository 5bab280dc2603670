"""The data sets that come with Omega."""
