"""Drills: failures rehearsed on real parts, and measured from outside by what subscribers received."""
