"""What people read and other tools import: a report for each student, one of the class, grades.csv, Gradescope's results.json, JUnit's XML.

Whatever a student wrote (an exception's message, a line of their source, the name of a file) is text from a stranger: it is quoted in
the language of each file, and characters that can't be seen are spelled out.
"""
