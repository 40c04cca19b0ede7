"""All of it on one machine, without accounts or servers of anybody's."""
