"""What the backend says, in the words of the windows and in the language of the user."""
