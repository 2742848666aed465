package streams

// DropEnded is the statement of DropAnswers, with the most answers as its one parameter.
const DropEnded = dropEnded
