/* @{comment} */
static void @{name}(@{parameters}) {
@{body}
}
