"""Complete trainings, written with the public interface alone."""
