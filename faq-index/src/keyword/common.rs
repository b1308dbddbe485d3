//! Words that people ask with, whatever they ask about: spelled as they are meant, also where no document
//! has them.

use std::collections::HashSet;
use std::sync::LazyLock;

/// English, German, French and Spanish, in lower case, of four letters and more.
const COMMON: &str = "\
    able about above across actually after again against allow allowed almost alone along already also \
    although always among another answer anyone anything anywhere apart around asked away back became \
    because become been before began begin begins behind being belong below best better between beyond \
    both bring brings brought build built call called came cannot care carry case cause change children \
    choose close come comes coming could count cover days decide different does doing done down during \
    each early easy either else enough even ever every everyone everything example explain fall fast feel \
    find first follow forget found free from full further gave gets getting give given gives goes going \
    gone good great group grow grown half hand happen happened happens hard have having hear heard held \
    help here high hold hour hours however idea important include inside instead into just keep kept kind \
    know known knows large last late later learn least leave left less lets life like likely list little \
    live long longer look lose lost made main make makes making many matter maybe mean means meant meet \
    might mine minute month months more most move much must myself name named near need needed needs never \
    next none nothing number offer often once only onto open opened order other others ourselves outside \
    over paid part pass past people perhaps person place plan play please point possible quite rather \
    reach read ready real really reason receive remain rest right said same says second seem seems seen \
    send sent several shall short should show shown shows side since small some someone something \
    sometimes somewhere soon sort speak spend start started stay still stop such sure take taken takes \
    talk tell than thank that their them themselves then there these they thing things think this those \
    though through time times today together told tomorrow took towards tried true turn turned twice type \
    under unless until upon used useful user uses using usual usually very visit wait walk want wanted \
    wants week weeks well went were what whatever when where whether which while whole whom whose will \
    wish with within without word words work works would write written wrong year years yesterday your \
    yours yourself \
    aber alle allem allen aller alles also andere anderen auch beim bekommen bekommt bitte damit dann darf \
    dass dein deine denn deren diese diesem diesen dieser dieses doch dort durch dürfen eine einem einen \
    einer eines etwas euch euer eure gegen gehen geht genug gibt geben haben habe hatte hatten heute hier \
    ihre ihrem ihren ihrer immer jede jedem jeden jeder jedes jemand jetzt kann kein keine keinen können \
    könnte kommen kommt lang lange lassen macht machen mehr mein meine meinem meinen meiner morgen muss \
    müssen nach nicht nichts noch oder ohne schon sehr seine seit selbst sich sind sein soll sollen sollte \
    sonst über unser unsere unter viel viele vielen vielleicht wann waren warum weil welche welchem \
    welchen welcher welches wenig wenn werden wieder wieso wieviel wird wohin wollen wurde wurden würde \
    zwischen \
    alors après aussi autre autres avant avec avoir beaucoup bien cela celle celui cette ceux chaque chez \
    combien comme comment dans depuis deux doit doivent donc elle elles entre était étaient être faire \
    fait faut jour jours leur leurs mais même moins nous peut peuvent plus pour pourquoi pouvez quand quel \
    quelle quelles quels quelqu sans sera sont sous tous tout toute toutes très vers votre vous \
    algo alguien antes aquí bajo bien cada como cómo cuál cuáles cuando cuándo cuánta cuántas cuánto \
    cuántos debe deben desde después donde dónde durante ella ellos entonces entre esta está están este \
    esto estos hace hacer hacia hasta mientras mucho muchos nada nunca otro otros para pero poco porque \
    puede pueden quién quiénes ser siempre sobre también tanto tener tiene tienen todo todos unos";

/// Whether a word, in lower case, is one that people ask with.
pub(super) fn is_common(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> =
        LazyLock::new(|| COMMON.split_ascii_whitespace().collect());
    WORDS.contains(word)
}

#[cfg(test)]
mod tests {
    use super::is_common;

    #[test]
    fn words_to_ask_with_are_common_and_subjects_are_not() {
        for word in ["many", "bring", "shown", "long", "wann", "combien", "dónde"] {
            assert!(is_common(word), "{word}");
        }
        for word in ["leave", "travel", "urlaub", "approvs", "mny"] {
            assert_eq!(is_common(word), word == "leave", "{word}");
        }
    }
}
