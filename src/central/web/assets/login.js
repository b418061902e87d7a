// A link to this page may bring the token behind "#", which browsers keep to themselves: it is shown at once.
const token = decodeURIComponent(location.hash.slice(1));
if (token) {
  history.replaceState(null, "", "/login");
  document.querySelector("#token").value = token;
  document.querySelector("#login-form").submit();
}
