"""Users: a subset of Supabase Auth: sign up, sign in, refresh, sign out, over the tables of schema auth."""
