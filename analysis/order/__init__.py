"""How far two orders of the same networks agree, and what may be made of it."""
